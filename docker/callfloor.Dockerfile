# Callfloor: the service, with the desk's pages.
#
# From the top of the checkout:  docker build -f docker/callfloor.Dockerfile -t callfloor .
# Behind a mirror, the machine's own settings come in for the build alone and stay out of every layer:
#   --secret id=pip.conf,src=…  --secret id=npmrc,src=…  --secret id=ca.crt,src=…  (to be named there as /run/ca.crt)

FROM debian:trixie-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src

# Two environments: /build has pip, the build's tools and Node.js; /opt/callfloor is what is shipped, without pip.
COPY requirements.lock requirements-node.lock ./
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.crt,target=/run/ca.crt \
    python3 -m venv /build \
 && python3 -m venv --without-pip /opt/callfloor \
 && /build/bin/pip install --require-hashes -r requirements-node.lock \
 && /build/bin/pip --python /opt/callfloor/bin/python install --require-hashes -r requirements.lock

COPY telephony/desk/node_in_venv.py telephony/desk/
COPY telephony/desk/web/package.json telephony/desk/web/package-lock.json telephony/desk/web/.npmrc telephony/desk/web/
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc --mount=type=secret,id=ca.crt,target=/run/ca.crt \
    /build/bin/python telephony/desk/node_in_venv.py \
 && cd telephony/desk/web \
 && PATH="/build/bin:$PATH" npm ci

COPY pyproject.toml README.md LICENSE ./
COPY crm_bridge crm_bridge
COPY ivr_flows ivr_flows
COPY recordings recordings
COPY telephony telephony
# The pages' sources would go into the package; only what was built from them belongs there.
RUN cd telephony/desk/web \
 && PATH="/build/bin:$PATH" npm run build \
 && cd /src \
 && rm -r telephony/desk/web \
 && /build/bin/pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /dist . \
 && /build/bin/pip --python /opt/callfloor/bin/python install --no-index --no-deps /dist/*.whl


FROM debian:trixie-slim
# The user id is the Asterisk image's too: rendered configuration can be read by its owner alone, and both own it.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates espeak-ng python3 tzdata \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 callfloor \
 && useradd --uid 10001 --gid callfloor --home-dir /var/lib/callfloor --no-create-home --shell /usr/sbin/nologin callfloor \
 && install -d -o callfloor -g callfloor -m 0750 /var/lib/callfloor \
    /var/lib/callfloor/prompts /var/lib/callfloor/messages /etc/asterisk
COPY --from=build /opt/callfloor /opt/callfloor
COPY docker/callfloor.toml /etc/callfloor/callfloor.toml
ENV PATH=/opt/callfloor/bin:$PATH \
    CALLFLOOR_CONFIG=/etc/callfloor/callfloor.toml \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/callfloor
USER 10001:10001
EXPOSE 8080 4573
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/opt/callfloor/bin/python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
CMD ["callfloor", "serve"]
