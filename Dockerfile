# Compiles kv with Bun and puts the executable, and nothing else, on a slim Debian with a shell.
#   docker build -t kv . && docker run -d -p 5000:5000 -v kv-data:/data kv

FROM oven/bun:1.4.5 AS build
WORKDIR /build
# The manifest and the lock come first: as long as they stay, the packages come from the layer cache.
COPY package.json bun.lock ./
RUN bun install --frozen-lockfile --production
COPY scripts scripts
COPY src src
RUN bun scripts/build.ts

FROM debian:bookworm-slim
# The numbers are fixed, so that a directory of the host can be given to this user by them.
RUN groupadd --gid 10001 kv \
 && useradd --uid 10001 --gid kv --no-create-home --home-dir /data --shell /bin/sh kv \
 && install --directory --owner=kv --group=kv --mode=0700 /data
COPY --from=build /build/kv /usr/local/bin/kv
ENV KV_HOST=0.0.0.0 KV_DATA=/data
USER 10001:10001
VOLUME /data
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["kv", "health"]
ENTRYPOINT ["kv"]
CMD ["serve"]
