// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * What C and Rust share. The build makes Rust of it (build/shared.rs): of each table its layout and size, and of what is named here the
 * values and layouts, as they are in C. It has no program, and the kernel never gets it.
 */
#include "habit.bpf.h"
#include "ordinary.bpf.h"
#include "real_path.bpf.h"
#include "syscall.bpf.h"
#include "../response/policy.bpf.h"

#define STRUCT(NAME) const struct NAME *__shared_##NAME = NULL
#define ENUM(NAME) const enum NAME *__shared_##NAME = NULL
#define VALUE(NAME) const u64 __value_##NAME = NAME

STRUCT(event_header);
ENUM(cgroup_controller);

ENUM(container_verdicts);
STRUCT(container_verdict);

ENUM(subscription_entries);

VALUE(TESTED_TRACKERS);
VALUE(TESTED_EVENTS);
VALUE(TESTED_BYTES);
VALUE(TESTED_ZERO_BIT);
VALUE(TESTED_MASK_BIT);
STRUCT(relevance);

STRUCT(habit);

VALUE(HOST_TREE_PLACE);
STRUCT(host_tree);

VALUE(SYSCALL_NUMBERS);
VALUE(SYSCALL_LEVELS);

ENUM(operation);
STRUCT(operation_policies);
ENUM(path_extent);
STRUCT(path_key);
STRUCT(peer);
