#!/bin/sh
# Builds the Kubernetes manifests as `kubectl apply -k` would, and lists the resulting objects.
set -eu

. "$(dirname "$0")/debian-tool.sh"
debian_tool kubectl kubernetes-client

cd "$(dirname "$0")/../deploy/kubernetes"
kubectl kustomize . | awk '
  /^kind: / { kind = $2 }
  /^  name: / && kind { print "manifest: " kind " " $2; kind = ""; count += 1 }
  END { if (!count) { print "kustomize produced no manifest" > "/dev/stderr"; exit 1 } }
'
