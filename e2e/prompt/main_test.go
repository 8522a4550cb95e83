package prompt

import (
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
