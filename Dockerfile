# docker build -t wallet-app .        docker run -p 5000:5000 -v wallet-data:/data wallet-app
#
# Two stages: one that has pip and builds, and one that has neither. tests/image/build_and_run.py proves what is
# promised here: not root, only /data written, no secret inside, SIGTERM obeyed.
#
# The base is a tag, which moves with each security update. To build on one state of it, name its digest:
#   docker buildx imagetools inspect python:3.11-slim-bookworm      prints it
#   docker build --build-arg BASE=python:3.11-slim-bookworm@sha256:… -t wallet-app .
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
# pip stays outside of the environment that is shipped.
RUN python3 -m venv /tools && python3 -m venv --without-pip /opt/wallet
# What others made comes in the versions and with the hashes of the lock files (scripts/lock), and as wheels, on x86-64
# and on ARM: a compiler would be a fault here, and is not looked for.
COPY requirements.lock requirements-build.lock ./
RUN /tools/bin/pip install --quiet --no-cache-dir --require-hashes --only-binary :all: -r requirements-build.lock \
 && /tools/bin/pip --python /opt/wallet/bin/python install --quiet --no-cache-dir --no-compile \
      --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY man man
COPY wallet_cli wallet_cli
# No index is asked for the package itself: what it needs and the lock lacks ends the build.
# Byte code is compiled here, since nothing can be written at run time, and is checked by its hash, since copying
# files between stages changes their times.
RUN /tools/bin/pip wheel --quiet --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
 && PIP_CONFIG_FILE=/dev/null /tools/bin/pip --python /opt/wallet/bin/python install --quiet --no-cache-dir --no-compile \
      --no-index "$(echo /wheels/wallet_cli-*.whl)[serve,postgres]" \
 && /opt/wallet/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/wallet/lib

FROM ${BASE}
LABEL org.opencontainers.image.title="wallet-app" \
      org.opencontainers.image.description="Stored value that people can trust: wallets, credits, debits and balances" \
      org.opencontainers.image.licenses="MIT"
# A fixed id, so that the owner of a volume is the same in every version of the image.
RUN groupadd --gid 10001 wallet \
 && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin wallet \
 && install --directory --owner 10001 --group 10001 --mode 0700 /data
COPY --from=build /opt/wallet /opt/wallet
# The ledger, the secret of user tokens and whatever else is written stand in /data, and nowhere else.
ENV PATH=/opt/wallet/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/data \
    XDG_DATA_HOME=/data \
    XDG_CONFIG_HOME=/data \
    TMPDIR=/data \
    WALLET_DB=/data/wallet.db \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /data
VOLUME /data
EXPOSE 5000
USER 10001:10001
# /healthz: the process answers. Not /readyz, which fails on a full disk or a long import: a restart cures neither.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
  CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:5000/healthz', timeout=4).close()"]
STOPSIGNAL SIGTERM
CMD ["wallet", "serve", "--host", "0.0.0.0"]
