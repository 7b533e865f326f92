package scenario_test

import "syscall"

// dyingWithParent ends a process with the test run, also where that is killed.
func dyingWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
