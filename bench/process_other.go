//go:build !linux

package main

import (
	"errors"
	"os/exec"
	"time"
)

var errNotLinux = errors.New("only Linux tells what a process has used")

func cpuTime(int) (time.Duration, error) { return 0, errNotLinux }
func peakMemory(int) (int, error)        { return 0, errNotLinux }
func endWithUs(*exec.Cmd)                {}
