//! What the API asks about profiles, and what people decide of them.

use ethogram_detect::{Decision, Profile, ProfileDiff, ProfileOverview, ProfileTree, Workload};
use ethogram_engine::{Engine, Judged};
use ethogram_model::render;

use crate::{
    api::{Answer, ProfileState, ProfileSummary, Profiles},
    pipeline::now_ns,
    refusal::Refusal,
    server::backend::Server,
};

impl Profiles for Server {
    async fn profiles(&self) -> Answer<Vec<ProfileSummary>> {
        let all = self.ask(|judge| judge.detector.model.profiles()).await?;
        Ok(all.iter().map(|brief| summary(brief, self.learning_ns)).collect())
    }

    async fn profile(&self, id: String) -> Answer<ProfileTree> {
        of(self, id, |judge, uid| judge.detector.model.describe(uid)).await
    }

    async fn profile_file(&self, id: String) -> Answer<String> {
        let profile = of(self, id, |judge, uid| judge.detector.model.profile(uid).cloned()).await?;
        Ok(profile.to_file())
    }

    async fn diff_profiles(&self, id: String, with: Option<String>) -> Answer<ProfileDiff> {
        let profile = |id| of(self, id, |judge, uid| judge.detector.model.profile(uid).cloned());
        let to = profile(id).await?;
        let from = match with {
            Some(with) => profile(with).await?,
            None => {
                let uid = to.workload.uid.clone();
                let before = self.ask(move |judge| judge.detector.model.version_before(&uid).cloned()).await?;
                before.ok_or_else(|| {
                    let what = format!(
                        "no other version of {} is known: name the profile to compare it with",
                        to.workload.name
                    );
                    Refusal::NotFound { what, nearest: Vec::new() }
                })?
            }
        };
        Ok(ProfileDiff::of(&from, &to))
    }

    async fn import_profile(&self, file: String, any_digest: bool) -> Answer<Vec<ProfileSummary>> {
        let read = self.blocking(move |_| {
            Profile::from_file(&file, now_ns())
                .map_err(|problems| Refusal::Invalid(format!("the profile is wrong: {problems}")))
        });
        let profile = read.await?;
        let of = profile.workload.clone();
        let targets = self.ask(move |judge| targets(&of, judge.detector.model.workloads(), any_digest)).await??;
        let uids: Vec<String> = targets.iter().map(|workload| workload.uid.clone()).collect();
        for workload in targets {
            let mut profile = Box::new(profile.clone());
            profile.workload = workload;
            self.decide(Decision::ImportProfile(profile)).await?;
        }
        let all = self.profiles().await?;
        Ok(all.into_iter().filter(|summary| uids.contains(&summary.id)).collect())
    }

    async fn approve_profile(&self, id: String) -> Answer<ProfileSummary> {
        let brief = brief(self, id).await?;
        if brief.entries == 0 {
            let what = format!(
                "nothing was learnt of {} yet: approved as it is, it would make everything an alert",
                brief.name
            );
            return Err(Refusal::Conflict(what));
        }
        self.decide(Decision::ApproveProfile(brief.uid.clone())).await?;
        self::brief(self, brief.uid).await.map(|brief| summary(&brief, self.learning_ns))
    }

    async fn reset_profile(&self, id: String) -> Answer<ProfileSummary> {
        let brief = brief(self, id).await?;
        self.decide(Decision::ResetProfile(brief.uid.clone())).await?;
        Ok(summary(&brief, self.learning_ns))
    }
}

async fn brief(server: &Server, id: String) -> Result<ProfileOverview, Refusal> {
    of(server, id, |judge, uid| judge.detector.model.profiles().into_iter().find(|brief| brief.uid == uid)).await
}

/// Something of the profile that answers to `id`.
async fn of<T: Send + 'static>(
    server: &Server,
    id: String,
    question: impl FnOnce(&mut Judged, &str) -> Option<T> + Send + 'static,
) -> Result<T, Refusal> {
    let asked = server.control.ask(move |engine| {
        let uid = find(engine, &id)?;
        question(&mut engine.consumer, &uid).ok_or_else(|| Refusal::unknown("profile", &id, [""; 0]))
    });
    asked.await.map_err(|_| Refusal::Gone)?
}

/// The uid of the one profile that is meant: by its id or the start of it, its workload's name, its image, or a container.
fn find(engine: &Engine<Judged>, id: &str) -> Result<String, Refusal> {
    let model = &engine.consumer.detector.model;
    if model.workloads().any(|w| w.uid == id) {
        return Ok(id.to_owned());
    }
    let answers = |w: &&Workload| w.name == id || w.image == id || id.len() >= 4 && w.uid.starts_with(id);
    let mut hits = model.workloads().filter(answers);
    match (hits.next(), hits.next()) {
        (Some(only), None) => return Ok(only.uid.clone()),
        (Some(a), Some(b)) => {
            let several = format!("several workloads answer to '{id}': give an id, such as {} or {}", a.uid, b.uid);
            return Err(Refusal::Conflict(several));
        }
        _ => {}
    }
    let container = engine.containers().find(|container| container.answers_to(id));
    if let Some(uid) = container.and_then(|container| model.profile_of(container)) {
        return Ok(uid);
    }
    Err(Refusal::unknown("profile", id, model.workloads().flat_map(|w| [&w.uid, &w.name])))
}

/// The workloads that a profile of the workload `of` is taken up for.
fn targets<'a>(
    of: &Workload,
    known: impl Iterator<Item = &'a Workload>,
    any_digest: bool,
) -> Result<Vec<Workload>, Refusal> {
    let known: Vec<&Workload> = known.collect();
    let itself = known.iter().find(|w| w.uid == of.uid);
    let versions = known.iter().filter(|w| w.is_version_of(of));
    if any_digest {
        let all: Vec<Workload> = versions.chain(itself).map(|w| Workload::clone(w)).collect();
        return Ok(if all.is_empty() { vec![of.clone()] } else { all });
    }
    let other = known.iter().filter(|w| w.resembles(of)).max_by_key(|w| w.is_version_of(of));
    match (itself, other) {
        // The author of the file may have called the image by another tag.
        (Some(itself), _) => Ok(vec![Workload::clone(itself)]),
        (None, None) => Ok(vec![of.clone()]),
        (None, Some(other)) if other.is_version_of(of) => Err(Refusal::Conflict(format!(
            "the profile is made for {} of the image {}, and here that is {}: with any_digest \
             (--any-digest) it is taken for that, too",
            of.digest, of.image, other.digest
        ))),
        (None, Some(other)) => Err(Refusal::Conflict(format!(
            "the profile is made for the image {} where it runs for {}, and here it runs for {}: set workload.owner in the file",
            of.image,
            owner(of),
            owner(other)
        ))),
    }
}

fn owner(workload: &Workload) -> &str {
    workload.owner.as_deref().unwrap_or("no owner")
}

fn summary(profile: &ProfileOverview, learning_ns: u64) -> ProfileSummary {
    let state = ProfileState::from(profile.state);
    let left = learning_ns.saturating_sub(profile.learnt_ns) / 1_000_000_000;
    ProfileSummary {
        id: profile.uid.clone(),
        workload: profile.name.clone(),
        image: profile.image.clone(),
        state,
        since: render::rfc3339(profile.since_ns),
        learning_seconds_left: (state == ProfileState::Learning).then_some(left),
        approved: profile.approved_ns.map(render::rfc3339),
        missing: profile.missing.clone(),
        containers: profile.containers,
        observations: profile.observations,
        behaviours: profile.entries as u64,
        alerts: profile.alerts as u64,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn workload(image: &str, digest: &str, owner: Option<&str>) -> Workload {
        let file = format!(
            "ethogram_profile = 1\n[workload]\nimage = '{image}'\ndigest = '{digest}'\n{}\n\
             [execute]\na = ['/b']\n[objects]\nexecute = 'programs'\n",
            owner.map(|owner| format!("owner = '{owner}'")).unwrap_or_default(),
        );
        Profile::from_file(&file, 1).unwrap().workload
    }

    #[test]
    fn a_profile_is_taken_up_for_its_own_image_and_for_others_on_request() {
        let of = workload("web:1", "sha256:aa", None);
        let taken = |known: &[Workload], any: bool| {
            let taken = targets(&of, known.iter(), any).map_err(|e| e.to_string())?;
            Ok::<_, String>(taken.into_iter().map(|w| w.digest).collect::<Vec<_>>())
        };
        let (tagged, next, other) = (
            workload("web:latest", "sha256:aa", None),
            workload("web:2", "sha256:bb", None),
            workload("db:1", "sha256:cc", None),
        );
        assert_eq!(taken(&[], false).unwrap(), ["sha256:aa"]);
        assert_eq!(taken(std::slice::from_ref(&other), false).unwrap(), ["sha256:aa"]);
        assert_eq!(taken(&[tagged.clone(), next.clone()], false).unwrap(), ["sha256:aa"]);
        let refused = taken(&[other.clone(), next.clone()], false).unwrap_err();
        assert!(refused.contains("sha256:aa of the image web:1, and here that is sha256:bb"), "{refused}");
        assert_eq!(taken(&[other.clone(), next.clone()], true).unwrap(), ["sha256:bb"]);
        assert_eq!(taken(&[tagged, next, other], true).unwrap(), ["sha256:bb", "sha256:aa"]);
        let refused = taken(&[workload("web:1", "sha256:aa", Some("shop/web"))], false).unwrap_err();
        assert!(refused.contains("runs for no owner, and here it runs for shop/web"), "{refused}");
    }
}
