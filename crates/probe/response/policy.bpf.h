/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The tables that the agent writes policies into, and how they are decided. A policy is a bit; the agent says which policies hold for
 * which container, and what each is about.
 */
#ifndef ETHOGRAM_POLICY_H
#define ETHOGRAM_POLICY_H

#include "container.bpf.h"
#include "record.bpf.h"
#include "socket.bpf.h"

#define EPERM 1
#define SIGKILL 9
#define POLICIES 64
#define AF_UNSPEC 0

const volatile u32 agent_dry_run; /* 1: what a policy leads to is reported, and not done */

enum operation { OP_exec, OP_write, OP_connect, OP_mount, OP_ptrace, OP_module, OP_bpf, OPERATIONS };

/* What policies there are on an operation, a bit each. */
struct operation_policies {
	u64 deny;
	u64 kill;
	u64 anything; /* of both: those that hold whatever it is done to */
	u64 exact;    /* of both: those that stand for a rule, and hold for nothing that the rule would not hold for */
	u64 after;    /* of those that kill: those that do so once it was done */
	u64 closed;   /* of both: those that also hold in containers that are not known */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, OPERATIONS);
	__type(key, u32);
	__type(value, struct operation_policies);
} operations SEC(".maps");

/*
 * By the id of a container's outermost cgroup, in the hierarchy by which the agent identifies containers. A container that is not
 * in here is not known.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, u64);
} subjects SEC(".maps");

enum path_extent {
	PATH_ALONE,
	PATH_BELOW, /* what lies below it */
	PATH_ABOVE, /* it is above a path that a policy is about */
};

/* A path by its hash, see hash_path. */
struct path_key {
	u64 hash;
	u32 below; /* enum path_extent */
	u32 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768); /* of what is above the paths, too */
	__type(key, struct path_key);
	__type(value, u64);
} paths SEC(".maps");

/* Of each policy: whom it means, IPv4 mapped into IPv6. */
struct peer {
	u64 address[2];
	u64 mask[2];
	u32 port; /* 0: any */
	u32 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, POLICIES);
	__type(key, u32);
	__type(value, struct peer);
} peers SEC(".maps");

/* How often each policy held. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, POLICIES);
	__type(key, u32);
	__type(value, u64);
} hits SEC(".maps");

/* What is reported to the agent each time. */
struct enforcement {
	struct event_header header; /* its time is that of the hook */
	duration_ns took FIELD("policy.latency", "from the hook to the deed");
	ip_address address FIELD("network.peer.address", "whom it was to connect to");
	u64 policies INTERNAL("policies");
	u16 port FIELD("network.peer.port", "the peer's port");
	bool8 killed FIELD("policy.killed", "whether the process was killed, and not only refused");
	bool8 is_too_deep FIELD("policy.path_unknown", "whether the path is longer than can be looked at");
	path_ref path FIELD("file.path", "what it was to be done to");
};
EVENT(enforcement, struct enforcement, 1);

/* What of a path's policies is asked. */
enum extent {
	CHANGES_IT,
	CHANGES_BELOW, /* and so all policies' paths that lie below it, which may have other files then */
	MOVES_IT,      /* the same, but for policies about all that lies below a directory */
};

/* What a program works on. */
struct deed {
	struct record *record;
	u64 started;
	u64 candidates; /* policies on this operation that hold for this container */
	u64 matched;
	u64 extent; /* enum extent */
	struct operation_policies *of;
};

/*
 * What is __noinline is called, and not part of its callers: the verifier follows each once for a program, and knows nothing of
 * what it has left in memory, so that all ways look the same to it.
 */

/* The policies that hold in that cgroup: none where it is not known. */
__noinline u64 policies_of(u64 cgroup)
{
	u64 *policies = bpf_map_lookup_elem(&subjects, &cgroup);

	return policies ? *policies : 0;
}

__noinline int is_known_cgroup(u64 cgroup)
{
	return bpf_map_lookup_elem(&subjects, &cgroup) != NULL;
}

/* Whether the current process is in a cgroup that is known. */
__noinline int is_known(void)
{
	struct cgroup_subsys_state *state = current_state();

	for (int level = 0; level < ANCESTORS && state; level++) {
		if (is_known_cgroup(LOAD(state, cgroup, kn, id)))
			return 1;
		state = LOAD(state, parent);
	}
	return 0;
}

/* The policies on an operation that hold for the current process: those of the cgroups that it is in. */
__noinline u64 policies_of_current(u32 operation)
{
	struct operation_policies *of = bpf_map_lookup_elem(&operations, &operation);
	struct cgroup_subsys_state *state = current_state();
	u64 found = 0;

	if (!of)
		return 0;
	for (int level = 0; level < ANCESTORS && state; level++) {
		found |= policies_of(LOAD(state, cgroup, kn, id));
		state = LOAD(state, parent);
	}
	/* Only an attacker nests so deep: to get away. */
	if (state)
		return ~of->exact;
	return found || !of->closed || is_known() || !is_contained() ? found : of->closed;
}

/* Adds to how often each of these policies held. */
__noinline int count_hits(u64 policies)
{
	for (u32 i = 0; i < POLICIES; i++) {
		u32 policy = i;
		u64 *hit;

		if (!(policies & (1ULL << i)))
			continue;
		hit = bpf_map_lookup_elem(&hits, &policy);
		if (hit)
			*hit += 1;
	}
	return 0;
}

enum verdicts {
	DENY = 1,
	KILL = 2,
	AFTER = 4,
	EXACT = 8,
	EXECUTES = 16, /* it is about the program that is executed, and not what the one does that runs */
};

/* Whether there is anything to decide, which mostly there is not. `program` is the one whose deed it is. */
static __always_inline bool concerns(struct deed *deed, u32 operation, enum verdicts verdicts, struct file *program)
{
	struct operation_policies *of = bpf_map_lookup_elem(&operations, &operation);
	u64 all;

	if (!of)
		return false;
	all = (verdicts & DENY ? of->deny : 0) | (verdicts & KILL ? of->kill & ~of->after : 0) |
	      (verdicts & AFTER ? of->kill & of->after : 0);
	if (!(verdicts & EXACT))
		all &= ~of->exact;
	if (!all)
		return false;
	deed->candidates = policies_of_current(operation) & all;
	if (deed->candidates & of->exact && !is_of_here(program))
		deed->candidates &= ~of->exact;
	if (deed->candidates && sets_up(verdicts & EXECUTES))
		deed->candidates = 0;
	if (!deed->candidates)
		return false;
	deed->of = of;
	deed->matched = deed->candidates & of->anything;
	deed->started = bpf_ktime_get_boot_ns();
	deed->record = borrow(sizeof(struct enforcement));
	if (deed->record)
		__builtin_memset(deed->record->data, 0, sizeof(struct enforcement));
	return true;
}

/* Does what the policies say, reports to the agent, and returns what the hook is to return. */
static __always_inline int conclude(struct deed *deed)
{
	struct record *r = deed->record;
	struct enforcement *e;
	u64 deny = deed->matched & deed->of->deny, matched = deny ? deny : deed->matched;

	if (!r)
		/* It is not known what it would be done to: what is to be denied is. */
		return deed->candidates & deed->of->deny & ~deed->of->exact && !agent_dry_run ? -EPERM : 0;
	if (!matched) {
		discard(r);
		return 0;
	}
	if (!deny && !agent_dry_run)
		bpf_send_signal(SIGKILL);
	count_hits(matched);
	e = (void *)r->data;
	describe_current(&e->header, EVENT_enforcement, current_cgroup());
	e->took = bpf_ktime_get_boot_ns() - deed->started;
	e->header.time = deed->started;
	e->policies = matched;
	e->killed = !deny;
	{
		u32 size = r->size;
		struct tracker_counters *c = count();

		if (size > RECORD_MAX)
			size = RECORD_MAX;
		if (c)
			submit(c, r->data, size);
	}
	discard(r);
	return agent_dry_run ? 0 : -EPERM;
}

#define NAME_WORDS (NAME_SIZE / 8)
#define PATH_NAMES 64 /* names of a path that policies are asked about, a power of two */
#define PATH_CALLS 6  /* WALK_PARTS names and mount points each */

/* Behind what is sent of a record there is room to work in. */
struct path_work {
	u64 names[PATH_NAMES]; /* the hash of each name, the leaf's first */
	u64 count;	       /* of them */
	u64 rooted;	       /* how many names there are below the process's root, and one; 0 where it was not met */
	const void *name;      /* the next one */
	u64 word[NAME_WORDS + 2];
	u64 extent; /* enum extent */
	u64 hash;   /* of the names from the root that were asked about */
	u64 below;  /* the policies about what lies below one of them */
};

static __always_inline struct path_work *path_work_of(struct record *r)
{
	return (void *)r->data + RECORD_MAX;
}

/* Adds the hash of the name that is the next one on the way to the root. */
__noinline int add_name(u32 slot)
{
	struct record *r = bpf_map_lookup_elem(&scratch, &slot);
	struct path_work *work;
	u64 hash = agent_salt;
	long length;

	if (!r)
		return 0;
	work = path_work_of(r);
	length = bpf_probe_read_kernel_str(work->word, NAME_SIZE, work->name) - 1;
	if (length < 0) {
		hash = 0;
	} else {
		/* What an earlier, longer name left behind is no part of this one. */
		*(u64 *)((u8 *)work->word + (length & (NAME_SIZE - 1))) = 0;
		for (int i = 0; i < NAME_WORDS; i++) {
			if (i * 8 >= length)
				break;
			hash = mixed(hash, work->word[i]);
		}
		hash = mixed(hash, length);
	}
	work->names[work->count & (PATH_NAMES - 1)] = hash;
	work->count++;
	return 0;
}

/* Goes on with the walk to the root, adding names. */
__noinline int walk_names_on(u32 slot)
{
	struct record *r = bpf_map_lookup_elem(&scratch, &slot);

	for (int i = 0; r && i < WALK_PARTS; i++) {
		struct path_work *work = path_work_of(r);
		struct walk *walk = &r->walk;
		struct dentry *here, *parent;
		struct mount *mount;

		barrier();
		here = walk->dentry;
		mount = walk->mount;
		if (here == walk->root && mount == walk->root_mount)
			work->rooted = work->count + 1;
		if (here == walk->mount_root) {
			struct mount *above = LOAD(mount, mnt_parent);

			if (above == mount) {
				walk->end = WALK_ROOT;
				break;
			}
			walk->dentry = LOAD(mount, mnt_mountpoint);
			walk->mount = above;
			walk->mount_root = LOAD(above, mnt.mnt_root);
			continue;
		}
		parent = LOAD(here, d_parent);
		/* From memory it is a number: pointers that are known as such are not passed on. */
		work->name = LOAD(here, d_name.name);
		add_name(slot);
		if (parent == here) {
			walk->end = WALK_ROOT;
			break;
		}
		walk->dentry = parent;
	}
	return 0;
}

__noinline int walk_names(u32 slot)
{
	struct record *r = bpf_map_lookup_elem(&scratch, &slot);

	for (int i = 0; r && i < PATH_CALLS && r->walk.end == WALKING; i++)
		walk_names_on(slot);
	return 0;
}

static __always_inline u64 policies_at(u64 hash, enum path_extent extent)
{
	struct path_key key = { .hash = hash, .below = extent };
	u64 *policies = bpf_map_lookup_elem(&paths, &key);

	return policies ? *policies : 0;
}

/* Asks about the directory whose hash is known, and goes on to what is in it. */
__noinline int ask_about_next(u32 slot)
{
	struct record *r = bpf_map_lookup_elem(&scratch, &slot);
	struct path_work *work;

	if (!r)
		return 0;
	work = path_work_of(r);
	if (work->extent != MOVES_IT)
		work->below |= policies_at(work->hash, PATH_BELOW);
	work->count--;
	work->hash = mixed(work->hash, work->names[work->count & (PATH_NAMES - 1)]);
	return 0;
}

/* Asks about what is above the path, from the root on, and has the path's own hash then. */
__noinline int ask_above(u32 slot)
{
	struct record *r = bpf_map_lookup_elem(&scratch, &slot);

	for (u32 i = 0; r && i < PATH_NAMES && path_work_of(r)->count; i++)
		ask_about_next(slot);
	return 0;
}

/*
 * Which policies a path is meant by, which are in the end fewer for those that are exact: these go by the path as rules see
 * it. The walk goes on to the root of the mount namespace, which is the container's own root: that of the process, which it
 * may have changed, does not count. A path's hash is that of the names on the way down to it.
 */
static __always_inline void match_path(struct deed *deed, struct vfsmount *vfsmount, struct dentry *dentry)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct record *r = deed->record;
	struct path_work *work;
	struct walk *walk;

	if (!r)
		return;
	walk = &r->walk;
	work = path_work_of(r);
	work->count = work->rooted = work->below = 0;
	work->hash = agent_salt;
	work->extent = deed->extent;
	begin_walk(walk, vfsmount, dentry, task);
	walk_names(r->slot);
	barrier();
	if (walk->end == WALKING || work->count > PATH_NAMES) {
		/* An attacker does not get away by nesting directories: what is about any path is about this one. */
		((struct enforcement *)r->data)->is_too_deep = 1;
		if (deed->extent != MOVES_IT)
			deed->matched |= deed->candidates & ~deed->of->exact;
		work->count = work->rooted = 0;
	}
	barrier();
	if (work->rooted != work->count + 1)
		deed->candidates &= ~deed->of->exact;
	ask_above(r->slot);
	barrier();
	deed->matched |= work->below & deed->candidates;
	deed->matched |= policies_at(work->hash, PATH_ALONE) & deed->candidates;
	if (deed->extent != CHANGES_IT)
		deed->matched |= policies_at(work->hash, PATH_ABOVE) & deed->candidates;
	if (deed->matched)
		((struct enforcement *)r->data)->path = append_place(r, vfsmount, dentry, task);
}

/* Which policies a peer is meant by. */
static __always_inline void match_peer(struct deed *deed, const ip_address *address, u16 port)
{
	struct enforcement *e;
	u64 words[2];

	deed->matched = 0;
	if (!deed->record)
		return;
	e = (void *)deed->record->data;
	__builtin_memcpy(words, address, sizeof(words));
	e->address = *address;
	e->port = port;
	/* They are gathered in memory, where the verifier does not follow each of the many ways to the same result. */
	e->policies = 0;
	for (u32 i = 0; i < POLICIES; i++) {
		struct peer *peer;
		u32 policy = i;

		barrier();
		if (!(deed->candidates & (1ULL << i)))
			continue;
		peer = bpf_map_lookup_elem(&peers, &policy);
		if (peer && (words[0] & peer->mask[0]) == peer->address[0] &&
		    (words[1] & peer->mask[1]) == peer->address[1] && (!peer->port || peer->port == e->port))
			e->policies |= 1ULL << i;
	}
	barrier();
	deed->matched = e->policies;
}

/* The same for an address as a system call has it in the kernel's memory. */
static __always_inline void match_address(struct deed *deed, const void *address, bool is_ipv4_without_family)
{
	u16 family = 0, port = 0;
	ip_address peer = {};

	deed->matched = 0;
	bpf_probe_read_kernel(&family, sizeof(family), address);
	bpf_probe_read_kernel(&port, sizeof(port), address + 2);
	if (family == AF_UNSPEC && is_ipv4_without_family)
		family = AF_INET;
	if (family == AF_INET) {
		u32 ipv4 = 0;

		bpf_probe_read_kernel(&ipv4, sizeof(ipv4), address + 4);
		set_ipv4(&peer, ipv4);
	} else if (family == AF_INET6) {
		bpf_probe_read_kernel(&peer, sizeof(peer), address + 8);
	} else {
		return;
	}
	match_peer(deed, &peer, bpf_ntohs(port));
}

#endif
