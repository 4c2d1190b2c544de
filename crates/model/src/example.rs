//! The context of an example.

use std::sync::Arc;

use crate::{Container, Context, Exec, Image, Process, Users};

/// The context of an example, as its fields are set one by one.
#[derive(Default)]
pub(crate) struct Example {
    pub(crate) process: Process,
    pub(crate) exec: Exec,
    /// Paths of the programs above it, nearest first.
    pub(crate) ancestors: Vec<String>,
    pub(crate) user: Option<String>,
    container: Option<Container>,
    users: Users,
}

impl Example {
    /// The container, which is one as good as any where nothing was said of it yet.
    pub(crate) fn container(&mut self) -> &mut Container {
        self.container.get_or_insert_with(|| Container {
            id: "0123456789abcdef".repeat(4),
            cgroup_id: 1,
            runtime: "docker".into(),
            name: Some("example".into()),
            image: Some(Image { name: "example:1".into(), digest: "sha256:00".into() }),
            ..Container::default()
        })
    }

    pub(crate) fn context(mut self) -> Context {
        let cgroup = self.container.as_ref().map_or(0, |c| c.cgroup_id);
        let file_name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        if self.exec.name.is_empty() {
            self.exec.name = file_name(&self.exec.path);
        }
        if self.exec.args.is_empty() {
            self.exec.args = vec![self.exec.name.clone()];
        }
        self.exec.container_cgroup = cgroup;
        let above = self.ancestors.iter().map(|path| {
            let (name, container_cgroup) = (file_name(path), cgroup);
            Arc::new(Exec { args: vec![name.clone()], path: path.clone(), name, container_cgroup, ..Exec::default() })
        });
        self.process.ancestors = above.collect();
        self.process.exec = Arc::new(self.exec);
        if let Some(name) = self.user {
            self.users.users.insert(self.process.user_id, name);
        }
        Context {
            container: self.container.map(Arc::new),
            process: Some(Arc::new(self.process)),
            service: None,
            users: Some(Arc::new(self.users)),
            answers: None,
        }
    }
}
