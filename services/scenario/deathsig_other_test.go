//go:build !linux

package scenario_test

import "syscall"

// dyingWithParent is Linux's alone: elsewhere a killed test run leaves its processes behind.
func dyingWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
