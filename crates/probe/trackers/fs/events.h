/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What is reported of changes of files. */
#ifndef ETHOGRAM_FS_EVENTS_H
#define ETHOGRAM_FS_EVENTS_H

#include "record.bpf.h"

#define CHANGE                                                                                                         \
	struct event_header header;                                                                                    \
	path_at path FIELD("file.path", "the file; symbolic links are resolved unless file.path_unresolved is true");  \
	requested_path requested FIELD("file.requested_path", "the path as asked for, where it is another");           \
	requested_path real FIELD("file.real_path", "where it lies in the container's tree or the host's, where a "    \
						    "mount or a changed root gives it another path");                  \
	error_number error FIELD("error.type", "why it failed; absent where it did not");                              \
	bool8 unresolved FIELD("file.path_unresolved", "whether this kernel showed the paths only as asked for");      \
	bool8 host FIELD("file.host", "whether it is in the host's tree, seen from a container; file.real_path is "    \
				      "its path there");                                                               \
	bool8 writable_layer FIELD("file.writable_layer", "whether the file was written in the container and is not "  \
							  "from its image; false also where that is not known");       \
	bool8 io_uring FIELD(                                                                                          \
		"file.io_uring",                                                                                       \
		"whether it was asked for through io_uring: reported as it begins, how it ends is unknown")

/* Of a file that was there before. */
#define CHANGE_OF_FILE                                                                                                 \
	CHANGE;                                                                                                        \
	struct file_identity file

struct file_change {
	CHANGE_OF_FILE;
};

struct file_remove {
	CHANGE_OF_FILE;
	bool8 directory FIELD("file.directory", "whether a directory was to be removed");
};
EVENT(remove, struct file_remove, 1);

enum rename_bits { RENAME_NOREPLACE = 1, RENAME_EXCHANGE = 2, RENAME_WHITEOUT = 4 };
typedef enum rename_bits rename_flags;

struct file_rename {
	CHANGE_OF_FILE;
	path_at new_path FIELD("file.new_path", "its new path, as file.path is");
	requested_path new_requested FIELD("file.new_requested_path", "the new path as asked for, where it is another");
	requested_path new_real FIELD("file.new_real_path", "where the new path lies, as file.real_path is");
	rename_flags flags FIELD("file.rename.flags", "flags of renameat2");
};
EVENT(rename, struct file_rename, 2);

struct file_link {
	CHANGE_OF_FILE;
	path_at target FIELD("file.link.target_path", "the file that gets file.path as another name");
	requested_path target_requested FIELD("file.link.requested_target_path",
					      "the target as asked for, where it is another");
	requested_path target_real FIELD("file.link.real_target_path", "where the target lies, as file.real_path is");
};
EVENT(link, struct file_link, 3);

struct file_symlink {
	CHANGE;
	str_ref target FIELD("file.symbolic_link.target_path", "what the new symbolic link says");
};
EVENT(symlink, struct file_symlink, 4);

struct file_mkdir {
	CHANGE;
	file_mode mode FIELD("file.mode", "permissions asked for, the process's umask not taken off");
};
EVENT(mkdir, struct file_mkdir, 5);

struct file_mknod {
	CHANGE;
	file_mode mode FIELD("file.mode", "permissions asked for, the process's umask not taken off");
	file_type type FIELD("file.type", "kind of file");
	u32 major FIELD("file.device.major", "major number of a device");
	u32 minor FIELD("file.device.minor", "minor number of a device");
};
EVENT(mknod, struct file_mknod, 6);

struct file_chmod {
	CHANGE_OF_FILE;
	file_mode mode FIELD("file.mode", "new permissions");
};
EVENT(chmod, struct file_chmod, 7);

struct file_chown {
	CHANGE_OF_FILE;
	s64 owner FIELD("file.owner.id", "new owner, in the process's user namespace; -1: left as it was");
	s64 group FIELD("file.group.id", "new group, in the process's user namespace; -1: left as it was");
};
EVENT(chown, struct file_chown, 8);

struct file_truncate {
	CHANGE_OF_FILE;
	u64 size FIELD("file.size", "new size in bytes");
};
EVENT(truncate, struct file_truncate, 9);

struct file_setxattr {
	CHANGE_OF_FILE;
	str_ref name FIELD("file.attribute.name", "the extended attribute");
	bool8 removed FIELD("file.attribute.removed", "whether it is removed, and not set");
};
EVENT(setxattr, struct file_setxattr, 10);

#endif
