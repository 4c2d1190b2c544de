/* What the loads share: a clock, and a result as one line of JSON. */
#pragma once
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static inline void fail(const char *what)
{
	perror(what);
	exit(1);
}

static inline long count_of(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 0;

	if (count <= 0) {
		fprintf(stderr, "usage: %s COUNT\n", argv[0]);
		exit(2);
	}
	return count;
}

static inline void report(long done, long long since)
{
	printf("{\"done\": %ld, \"ns\": %lld}\n", done, now_ns() - since);
}
