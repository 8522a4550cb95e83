//go:build !race

package gzsplice

const raceDetector = false
