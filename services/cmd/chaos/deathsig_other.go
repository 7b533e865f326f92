//go:build !linux

package main

import "syscall"

// dyingWithParent is Linux's alone: elsewhere a killed run leaves its processes behind.
func dyingWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
