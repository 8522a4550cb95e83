module github.com/kapadeflector/caddy-kapa-deflector/bench

go 1.26.0
