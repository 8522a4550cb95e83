package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// cpuTime is how long a process has run so far, user and system together, to
// the nanosecond, where /proc/PID/stat counts hundredths of a second. The clock
// is that of clock_getcpuclockid(3).
func cpuTime(pid int) (time.Duration, error) {
	const schedulerTime = 2
	clock := ^pid<<3 | schedulerTime
	var t syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		return 0, fmt.Errorf("the CPU time of process %d: %w", pid, errno)
	}
	return time.Duration(t.Nano()), nil
}

// idleCPUTime is cpuTime once the process has nothing more to do: the kernel
// adds what a thread has run when it is switched away from, or at the next tick.
func idleCPUTime(pid int) (time.Duration, error) {
	last, err := cpuTime(pid)
	for range 20 {
		if err != nil {
			break
		}
		time.Sleep(time.Millisecond)
		var now time.Duration
		if now, err = cpuTime(pid); now == last {
			break
		}
		last = now
	}
	return last, err
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakMemory is the most that a process has had resident, in bytes.
func peakMemory(pid int) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	match := highWater.FindSubmatch(status)
	if match == nil {
		return 0, fmt.Errorf("no VmHWM of process %d", pid)
	}
	kb, err := strconv.Atoi(string(match[1]))
	return kb << 10, err
}

// endWithUs has the kernel end the command when this program is killed.
func endWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// onServerCores begins the command of each server.
var onServerCores []string

// splitCores leaves the upper half of the machine's cores to the servers and
// the lower half to this program, so that neither waits for the other's.
func splitCores() error {
	n := runtime.NumCPU()
	if n < 2 {
		return errors.New("there is only one")
	}
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		return errors.New("taskset is not installed: apt-get install util-linux")
	}
	ours := exec.Command(taskset, "--all-tasks", "--pid", "--cpu-list", fmt.Sprintf("0-%d", n/2-1), strconv.Itoa(os.Getpid()))
	if out, err := ours.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	runtime.GOMAXPROCS(n / 2)
	onServerCores = []string{taskset, "--cpu-list", fmt.Sprintf("%d-%d", n/2, n-1)}
	return nil
}
