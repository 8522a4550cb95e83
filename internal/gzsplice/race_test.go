//go:build race

package gzsplice

const raceDetector = true
