//go:build !linux

package main

import (
	"errors"
	"fmt"
	"os/exec"
	"time"
)

var errNotLinux = fmt.Errorf("only Linux tells what a process has used: %w", errors.ErrUnsupported)

func cpuTime(int) (time.Duration, error)     { return 0, errNotLinux }
func idleCPUTime(int) (time.Duration, error) { return 0, errNotLinux }
func peakMemory(int) (int, error)            { return 0, errNotLinux }
func endWithUs(*exec.Cmd)                    {}

// onServerCores begins the command of each server.
var onServerCores []string

func splitCores() error { return errNotLinux }
