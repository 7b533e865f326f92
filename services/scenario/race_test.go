//go:build race

package scenario_test

// raced builds the program with the race detector where the stories are.
const raced = true
