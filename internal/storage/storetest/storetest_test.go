package storetest

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"tidegate/internal/leftover"
	"tidegate/internal/longtest"
)

func TestMain(m *testing.M) { os.Exit(leftover.Run(m)) }

func TestALogThatKeepsItsPromisesPasses(t *testing.T) {
	t.Parallel()
	Run(t, memoryConfig(""))
}

// faultVariable has the fault of the log that TestOneFault runs the suite on.
const faultVariable = "TIDETEST_STORE_FAULT"

func TestOneFault(t *testing.T) {
	fault := os.Getenv(faultVariable)
	if fault == "" {
		t.Skip("it is run by TestEachFaultIsFound")
	}
	Run(t, memoryConfig(fault))
}

// TestEachFaultIsFound runs the suite on logs that break one promise each.
func TestEachFaultIsFound(t *testing.T) {
	t.Parallel()
	for fault, by := range map[string]string{
		"age": "WhatIsExpiredIsNotGiven", "batch": "BatchesOfOneTopic", "born": "ATopicBeginsAnew", "caught": "CaughtWaits",
		"cut": "AReaderThatLeaves", "data": "ANewHubIsGivenTheSame", "discarded": "AFullLogDropsItsOldest", "find": "FindByKey",
		"hang": "AppendsWithoutRunReturn", "key": "ARepeatIsAnsweredAsTheFirst", "keylife": "AKeyIsDroppedInTime",
		"kill": "WhatWasAnsweredSurvivesAKill", "last": "ATopicBeginsAnew", "latch": "FailedWritesAreReported",
		"mismatch": "OtherContentIsAMismatch", "prev": "OfConcurrentPublishers", "purge": "PurgeDropsWhatIsBelow",
		"range": "Ranges", "refused": "WhatComesBehindTheEnd", "replay": "ANewHubIsGivenTheSame", "reuse": "NoPositionIsUsedAgain",
		"silent": "FailedWritesAreReported", "size": "TooLargeEvents", "time": "/Time", "trim": "TrimKeepsTheNewest", "untrimmed": "TrimKeepsTheNewest",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOneFault$/^[A-Z]/"+strings.TrimPrefix(by, "/"))
			cmd.Env = append(os.Environ(), faultVariable+"="+fault, patienceVariable+"=500ms")
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL") || !strings.Contains(string(out), by) {
				t.Errorf("not found: %v\n%s", err, out)
			}
		})
	}
}

func TestTheModelAgreesWithALogThatKeepsItsPromises(t *testing.T) {
	t.Parallel()
	c := memoryConfig("")
	c.Histories = longtest.Number(40, 100)
	Model(t, c)
}

func TestOneFaultOfAModel(t *testing.T) {
	fault := os.Getenv(faultVariable)
	if fault == "" {
		t.Skip("it is run by TestTheModelFindsFaults")
	}
	Model(t, memoryConfig(fault))
}

// TestTheModelFindsFaults runs histories on logs that break one promise each.
func TestTheModelFindsFaults(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{
		"age", "data", "born", "find", "key", "keylife", "kill", "last", "latch", "mismatch", "prev", "purge", "range", "refused",
		"replay", "reuse", "silent", "size", "time", "trim",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOneFaultOfAModel$")
			cmd.Env = append(os.Environ(), faultVariable+"="+fault, patienceVariable+"=500ms", shrinkVariable+"=0s")
			if out, err := cmd.CombinedOutput(); err == nil {
				t.Errorf("not found\n%s", out)
			}
		})
	}
}
