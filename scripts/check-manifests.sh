#!/bin/sh
# Puts the manifests for Kubernetes together as `kubectl apply -k` would, and says what comes out of it.
set -eu

. "$(dirname "$0")/debian-tool.sh"
debian_tool kubectl kubernetes-client

cd "$(dirname "$0")/../deploy/kubernetes"
kubectl kustomize . | awk '
  /^kind: / { kind = $2 }
  /^  name: / && kind { print "manifest: " kind " " $2; kind = ""; count += 1 }
  END { if (!count) { print "no manifest came out" > "/dev/stderr"; exit 1 } }
'
