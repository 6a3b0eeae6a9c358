# The appliance as one image:  docker build -t glitchbox .
#
#   --build-arg APT_MIRROR=http://mirrors.aliyun.com               a Debian mirror; it has /debian and /debian-security
#   --build-arg CARGO_MIRROR=sparse+https://rsproxy.cn/index/      a mirror of crates.io
#   --build-arg RUST_IMAGE=... --build-arg BASE_IMAGE=...          other names for the images to start from
#
# Where no registry can be reached, ./scripts/base-images makes those images first.
ARG RUST_IMAGE=rust:1-trixie
ARG BASE_IMAGE=debian:trixie-slim

# The two programs. An image that has them already, in /programs, is taken as it is (./scripts/test --container makes one).
FROM ${RUST_IMAGE} AS programs
ARG CARGO_MIRROR=
WORKDIR /build
COPY . .
RUN set -eu; \
    [ ! -d /programs ] || exit 0; \
    if [ -n "$CARGO_MIRROR" ]; then \
        printf '[source.crates-io]\nreplace-with = "mirror"\n[source.mirror]\nregistry = "%s"\n' "$CARGO_MIRROR" >>"$CARGO_HOME/config.toml"; \
    fi; \
    cargo build --release --locked --workspace; \
    mkdir /programs; \
    cp target/release/supervisor target/release/glitchbox /programs/; \
    rm -rf target "$CARGO_HOME/registry"

# Everything else: Debian's PostgreSQL and Redis, without what is not needed to run them.
FROM ${BASE_IMAGE} AS system
ARG APT_MIRROR=
RUN set -eu; \
    if [ -n "$APT_MIRROR" ]; then \
        find /etc/apt -name '*.list' -o -name '*.sources' | xargs sed -i "s#https\?://[^/ ]*/debian#$APT_MIRROR/debian#"; \
    fi; \
    export DEBIAN_FRONTEND=noninteractive; \
    # No cluster and no service of Debian's: ours are the supervisor's.
    mkdir -p /etc/postgresql-common/createcluster.d; \
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/none.conf; \
    apt-get -qq update; \
    apt-get -qq install -y --no-install-recommends ca-certificates postgresql-17 redis-server tzdata >/dev/null; \
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin glitchbox; \
    # Anybody may write an empty volume (docker gives it this mode): --user UID needs no preparation outside.
    mkdir -m 1777 /data; \
    # Environment files made for a whole deployment name a folder and a port of the machine outside; not in here.
    mkdir -p /usr/share/glitchbox; \
    printf 'DATA_DIR=/data\nPORT=8000\n' >/usr/share/glitchbox/fixed.env
COPY --from=programs /programs/ /usr/local/bin/
# A cluster made beforehand, which a first start unpacks.
RUN supervisor template
RUN set -eu; \
    # Just-in-time compilation is off, clusters are the supervisor's, and nothing is installed later.
    dpkg --purge --force-depends --force-remove-essential --force-remove-protected \
        $(dpkg-query -W -f '${Package} ' 'libllvm*' 'libz3-4' 'perl*' 'lib*-perl' 'libperl5*' 'libgdbm*' 'libdb5*' \
            postgresql-common 'postgresql-common-dev' postgresql-client-common ssl-cert ucf sensible-utils locales libc-l10n \
            openssl lsb-release apt 'libapt-pkg*' sqv 'libsqlite3*' debconf 2>/dev/null) >/dev/null 2>&1 || true; \
    cd /usr/lib/postgresql/17; \
    rm -rf lib/bitcode lib/llvmjit* lib/pgxs bin/pgbench bin/vacuumlo bin/oid2name bin/pg_test_fsync bin/pg_test_timing; \
    rm -rf /usr/share/doc /usr/share/man /usr/share/info /usr/share/lintian /usr/share/locale /usr/share/i18n \
        /usr/share/postgresql/17/man /usr/share/bug /usr/share/perl* /usr/lib/*/perl* /usr/share/debconf /usr/lib/*/gconv \
        /usr/include /usr/lib/apt /etc/apt /var/cache /var/lib/apt /var/log /var/lib/postgresql /var/lib/redis /etc/redis /etc/postgresql* /tmp/*; \
    mkdir -m 1777 -p /tmp; \
    for program in bin/postgres bin/psql bin/pg_dump bin/pg_restore /usr/bin/redis-server /usr/bin/redis-cli /usr/local/bin/supervisor; do \
        if ldd "$program" | grep 'not found'; then exit 1; fi; \
    done

# In one layer, so that what was removed takes no room.
FROM scratch
COPY --from=system / /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
EXPOSE 8000
STOPSIGNAL SIGTERM
# The first probe comes after one interval; from the second minute on, each rests half a minute before it asks.
HEALTHCHECK --interval=1s --timeout=45s --start-period=120s --retries=5 CMD ["supervisor", "healthcheck", "--relaxed"]
ENTRYPOINT ["supervisor", "run", "--data-dir", "/data", "--port", "8000"]
