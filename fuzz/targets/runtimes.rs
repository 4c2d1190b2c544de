//! What container runtimes answer: JSON of Docker's API and of Podman's storage, messages of containerd, and OCI's
//! specifications. Much of it is written by the author of an image.
#![no_main]

use ethogram_model::Container;

libfuzzer_sys::fuzz_target!(|data: &[u8]| ethogram_fuzz::bounded(|| {
    let (spec, answer) = ethogram_fuzz::parts(data);
    for container in ethogram_agent::fuzzing::runtimes(answer, spec) {
        assert!(container.labels.len() <= Container::MAX_LABELS);
        assert!(container.mounts.len() <= Container::MAX_MOUNTS);
        assert!(container.command.len() <= 64);
        let pod = container.pod.iter().flat_map(|pod| [&pod.name, &pod.namespace]);
        let labels = container.labels.iter().flat_map(|(key, value)| [key, value]);
        for text in container.command.iter().chain(labels).chain(pod).chain([&container.name]) {
            assert!(text.len() <= 1100, "{} bytes", text.len());
        }
    }
}));
