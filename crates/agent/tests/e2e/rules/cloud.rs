//! The cloud and the cluster that a container runs in.

use super::stage::{Act, Stage, act};

pub(crate) const ACTS: &[Act] = &[
    act(
        "Instance Metadata Reached By A General Tool",
        "/act/curl connect 169.254.169.254 80 || true",
        "/act/curl connect 127.0.0.1 80 || true",
    ),
    act("Instance Metadata Reached", "act connect 169.254.169.254 80 || true", "act connect 127.0.0.1 80 || true"),
    act("Instance Metadata Named", "/act/curl http://169.254.169.254/latest/", "/act/curl http://127.0.0.1/latest/"),
    act(
        "Service Account Token Read By A General Tool",
        "d=/run/secrets/kubernetes.io/serviceaccount && mkdir -p $d && : > $d/token && cat $d/token",
        "d=/run/secrets/kubernetes.io/serviceaccount && mkdir -p $d && : > $d/namespace && cat $d/namespace",
    ),
    act(
        "Tokens Of Other Pods Read",
        "d=/var/lib/kubelet/pods/1/volumes/kubernetes.io~projected && mkdir -p $d && : > $d/token && cat $d/token",
        "d=/var/lib/kubelet/pods/1 && mkdir -p $d && : > $d/etc-hosts && cat $d/etc-hosts",
    ),
    act(
        "Kubernetes API Reached By A General Tool",
        "act ask 1 kubernetes.default.svc.cluster.local && /act/curl connect 10.96.0.1 443 || true",
        "/act/curl connect 127.0.0.1 443 || true",
    ),
    act("Kubelet Or Etcd Reached", "act connect 127.0.0.1 10250 || true", "act connect 127.0.0.1 10249 || true"),
    act(
        "Static Pod Planted",
        "mkdir -p /etc/kubernetes/manifests && : > /etc/kubernetes/manifests/x.yaml",
        "mkdir -p /etc/kubernetes/manifests && ls /etc/kubernetes/manifests",
    ),
    act("Container Client Run", "/act/kubectl get pods", "/act/psql -h db"),
];

#[test]
fn cloud() {
    let stage = Stage::new("cloud", &[]);
    stage.play("ip address add 169.254.169.254/32 dev lo && ip address add 10.96.0.1/32 dev lo");
    stage.play_on("act answer 10.96.0.1");
    stage.perform(ACTS);
}
