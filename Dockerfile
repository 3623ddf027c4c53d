# One image for every command: docker run IMAGE api|worker|board|simulator|status|…
# Debian rather than Alpine, because the tests run on Debian's C library.

# The digest decides what is pulled, the tag names it for people. Dependabot updates both.
FROM node:24.19.0-bookworm-slim@sha256:a9f5f7c91a432850b2a8a7797adf5eadb6c733ceed61167806cee7ea7fbc29df AS manifest
WORKDIR /app
COPY package.json package-lock.json ./

FROM manifest AS build
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build

# Install scripts stay off: msgpackr-extract, the only native dependency, ships prebuilt binaries.
# npm keeps the TypeScript compiler (30 MB) because a package lists it as an optional peer; remove it.
FROM manifest AS dependencies
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && rm -rf node_modules/typescript node_modules/@typescript

FROM node:24.19.0-bookworm-slim@sha256:a9f5f7c91a432850b2a8a7797adf5eadb6c733ceed61167806cee7ea7fbc29df
WORKDIR /app
# Loopback is unreachable from outside a container. Publish each port no wider than necessary.
ENV NODE_ENV=production \
  API_HOST=0.0.0.0 \
  BOARD_HOST=0.0.0.0 \
  METRICS_HOST=0.0.0.0
COPY LICENSE package.json ./
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist

# The user "node" of the base image, by number: Kubernetes cannot verify runAsNonRoot for a name.
USER 1000:1000

EXPOSE 3000 3001 9464

# A container runs one command, so only the port of that command answers. A worker with METRICS_PORT=0
# and the simulator serve no health route: run them with --no-healthcheck or a check of their own.
# Liveness, not readiness: restarting a process does not bring Redis back.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "const { API_PORT, PORT, BOARD_PORT, METRICS_PORT } = process.env; Promise.any([API_PORT || PORT || 3000, BOARD_PORT || 3001, METRICS_PORT || 9464].map(async (port) => { if (!(await fetch('http://127.0.0.1:' + port + '/health/live')).ok) throw port; })).then(() => process.exit(0), () => process.exit(1))"]

# No init process is needed: the commands handle SIGTERM and start no child processes. Node itself hears none in
# its first tenth of a second.
ENTRYPOINT ["node", "dist/cli/main.js"]
CMD ["api"]
