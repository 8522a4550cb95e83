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
func written(int) (counters, error)          { return counters{}, errNotLinux }
func endWithUs(*exec.Cmd)                    {}

// onServerCore begins the command of each server.
var onServerCore []string

func pin() error { return errNotLinux }
