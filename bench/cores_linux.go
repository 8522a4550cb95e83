package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
)

// onServerCores begins the command of each server.
var onServerCores []string

// splitCores leaves the upper half of the machine's cores to the servers and
// the lower half to this program, so that neither waits for the other's.
func splitCores() error {
	n := runtime.NumCPU()
	if n < 2 {
		return fmt.Errorf("there is one")
	}
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		return fmt.Errorf("taskset is not installed: apt-get install util-linux")
	}
	ours := exec.Command(taskset, "--all-tasks", "--pid", "--cpu-list", fmt.Sprintf("0-%d", n/2-1), strconv.Itoa(os.Getpid()))
	if out, err := ours.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	runtime.GOMAXPROCS(n / 2)
	onServerCores = []string{taskset, "--cpu-list", fmt.Sprintf("%d-%d", n/2, n-1)}
	return nil
}
