package bench

import (
	"os/exec"
	"syscall"
	"testing"
)

func TestYieldCPULowersThePriority(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = in.Close() // ends it
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	if err := yieldCPU([]int{cmd.Process.Pid}); err != nil {
		t.Fatal(err)
	}
	// The system call gives 20 less the priority, see getpriority(2).
	if got, err := syscall.Getpriority(syscall.PRIO_PROCESS, cmd.Process.Pid); err != nil || 20-got != 19 {
		t.Errorf("the priority is %d, %v", 20-got, err)
	}
}
