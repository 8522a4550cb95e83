package consent

import "errors"

const MaxPurpose = 24

type TCString struct{}

func ParseTCString(s string) (TCString, error)      { return TCString{}, errors.New("stub") }
func (TCString) Purposes(n ...int) Finding          { return unanswered }
func (TCString) PublisherPurposes(n ...int) Finding { return unanswered }
func TCStringOfGPP(s string) (string, bool, error)  { return "", false, nil }
