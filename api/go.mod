module github.com/assent-io/assent/api

go 1.26.0
