# Asterisk, as Debian packages it. Its configuration is not in here: `callfloor pbx render --for-debian` writes it into a
# volume, which is mounted at /etc/asterisk.
#
# From the top of the checkout:  docker build -f docker/asterisk.Dockerfile -t callfloor-asterisk .

FROM debian:forky-slim
# The user is made first, with the user id of the Callfloor image; Debian's package then takes it as it is.
RUN groupadd --gid 10001 asterisk \
 && useradd --uid 10001 --gid asterisk --home-dir /var/lib/asterisk --no-create-home --shell /usr/sbin/nologin asterisk \
 && apt-get update \
 && apt-get install -y --no-install-recommends asterisk asterisk-core-sounds-en-gsm asterisk-prompt-de \
 && rm -rf /var/lib/apt/lists/* /etc/asterisk /run/asterisk /var/cache/asterisk /var/lib/asterisk /var/log/asterisk \
      /var/spool/asterisk \
 && install -d -o asterisk -g asterisk -m 0750 /etc/asterisk /run/asterisk /var/log/asterisk /var/spool/asterisk \
      /var/lib/asterisk /var/lib/asterisk/agi-bin /var/lib/asterisk/keys
WORKDIR /var/lib/asterisk
USER 10001:10001
EXPOSE 5060/udp 8088/tcp 20000-20099/udp
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s --retries=3 \
    CMD ["asterisk", "-rx", "core waitfullybooted"]
CMD ["asterisk", "-f", "-n"]
