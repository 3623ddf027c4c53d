# One image for every command: docker run IMAGE api|worker|board|simulator|status|…
# Debian rather than Alpine: the C library that the tests run on.

FROM node:24-slim AS manifest
WORKDIR /app
COPY package.json package-lock.json ./

FROM manifest AS build
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build

# Install scripts stay off: the one native dependency, msgpackr-extract, brings its binaries along.
# npm keeps the compiler although it is a devDependency, as somebody's optional peer: 30 MB.
FROM manifest AS dependencies
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && rm -rf node_modules/typescript node_modules/@typescript

FROM node:24-slim
WORKDIR /app
# In a container, loopback is reached by nobody. Publish the ports no wider than you must.
ENV NODE_ENV=production \
  API_HOST=0.0.0.0 \
  BOARD_HOST=0.0.0.0 \
  METRICS_HOST=0.0.0.0
COPY LICENSE package.json ./
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist

# The user "node" of the base image, by number: Kubernetes' runAsNonRoot does not look names up.
USER 1000:1000

EXPOSE 3000 3001 9464

# A container runs one command, so of the three ports only its own answers. Not for METRICS_PORT=0,
# where a worker has no health to ask for, nor for the simulator: give those --no-healthcheck or
# their own. Liveness, not readiness: to restart a process does not bring Redis back.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "const { API_PORT, PORT, BOARD_PORT, METRICS_PORT } = process.env; Promise.any([API_PORT || PORT || 3000, BOARD_PORT || 3001, METRICS_PORT || 9464].map(async (port) => { if (!(await fetch('http://127.0.0.1:' + port + '/health/live')).ok) throw port; })).then(() => process.exit(0), () => process.exit(1))"]

# No init process in front: the commands handle SIGTERM themselves and start no children.
ENTRYPOINT ["node", "dist/cli/main.js"]
CMD ["api"]
