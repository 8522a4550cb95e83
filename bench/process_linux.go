package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
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
