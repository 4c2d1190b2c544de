//! The words of `ethogram profile`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ListFormat;

/// What has been learnt.
#[derive(Debug, Args)]
#[command(after_help = "\
A profile is named by its id or the start of it, its workload's name, its image, or a container. What is imported or approved
judges at once, and learns nothing more. A file for another version of its image is refused; --any-digest accepts it.

Examples:
  ethogram profile list                                      what is known, how far it is, and what it lacks
  ethogram profile show web                                  what the container web does
  ethogram profile export web --output-file web.toml         as a file, to be reviewed and kept beside the image
  ethogram profile diff web.toml web                         what it does now that is not in the file
  ethogram profile diff web                                  what it does that the image's last version did not
  ethogram profile import web.toml                           judge by it, on this host
  ethogram server --locked                                   judge by profiles only, and learn nothing")]
pub struct ProfileArgs {
    /// What to do
    #[command(subcommand)]
    pub action: ProfileAction,
    /// How it is printed
    #[arg(short, long, global = true, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: ListFormat,
}

/// What to do with profiles.
#[derive(Debug, Subcommand)]
pub enum ProfileAction {
    /// All profiles, one a line
    List,
    /// One profile, with all that its workload does
    Show {
        /// Its id, its workload's name, its image, or a container
        id: String,
    },
    /// What differs between two profiles; the exit code is 0 where they are the same, and 1 where not
    Diff {
        /// A profile's id, or its file, or - for standard input
        #[arg(value_name = "ID|FILE")]
        from: String,
        /// Another one [default: the first is compared with the image's version before it]
        #[arg(value_name = "ID|FILE")]
        to: Option<String>,
    },
    /// Write a profile as a file that people can review
    Export {
        /// Its id, its workload's name, its image, or a container
        id: String,
        /// Write to a file in place of the terminal
        #[arg(long, value_name = "FILE")]
        output_file: Option<PathBuf>,
    },
    /// Import profiles from files: they are approved, and replace those that there are
    Import {
        /// The files; - is standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Also for those other contents of the image's name that are known here
        #[arg(long)]
        any_digest: bool,
    },
    /// Say that a profile is right as it is, with what raised alerts: it learns nothing more
    Approve {
        /// Its id, its workload's name, its image, or a container
        id: String,
    },
    /// Forget a profile: its workload is learnt anew
    Reset {
        /// Its id, its workload's name, its image, or a container
        id: String,
    },
    /// How fast events of a recording are learnt and judged, over and over for some seconds
    Cost {
        /// The recording
        #[arg(long, value_name = "FILE")]
        recording: PathBuf,
    },
}
