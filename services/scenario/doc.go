// Package scenario holds the whole-system tests: stories about people, clients and
// carriers, told against the real binary. Each story starts the program as an operator
// would, asks through the API as a client would, and answers from the sandbox's inbox as a
// person would; nothing is wired in process, so what passes here is what ships. It has no
// code of its own beyond its tests, and nobody imports it.
package scenario
