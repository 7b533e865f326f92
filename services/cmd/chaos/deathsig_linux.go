package main

import "syscall"

// dyingWithParent ends a process with this one, also where that is killed.
func dyingWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
