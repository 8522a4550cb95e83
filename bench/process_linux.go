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
// time.Sleep would not wake up before a millisecond is over.
func idleCPUTime(pid int) (time.Duration, error) {
	last, err := cpuTime(pid)
	for range 200 {
		if err != nil {
			break
		}
		_ = syscall.Nanosleep(&syscall.Timespec{Nsec: 20_000}, nil)
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

// written is what a process has written so far.
func written(pid int) (c counters, err error) {
	file := fmt.Sprintf("/proc/%d/io", pid)
	text, err := os.ReadFile(file)
	if err != nil {
		return c, err
	}
	var read float64
	if _, err := fmt.Sscanf(string(text), "rchar: %g\nwchar: %g\nsyscr: %g\nsyscw: %g\n", &read, &c.bytes, &read, &c.writes); err != nil {
		return c, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// endWithUs has the kernel end the command when this program is killed, but not
// when it is interrupted: then there is something to be told first.
func endWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// onServerCore begins the command of each server.
var onServerCore []string

// pin has the servers run on the machine's last core, and this program, which is
// client and origin, on the first.
func pin() error {
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		return errors.New("taskset is not installed: apt-get install util-linux")
	}
	if runtime.NumCPU() < 2 {
		return errors.New("there is only one")
	}
	last := strconv.Itoa(runtime.NumCPU() - 1)
	cmd := exec.Command(taskset, "--all-tasks", "--pid", "--cpu-list", "0", strconv.Itoa(os.Getpid()))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	runtime.GOMAXPROCS(1)
	onServerCore = []string{taskset, "--cpu-list", last}
	return nil
}
