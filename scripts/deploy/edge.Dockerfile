# The proxy in front of the two slots, with its configuration.

FROM haproxy:3.2-alpine
USER 0:0
RUN install -d -o 99 -g 99 /live
COPY haproxy.cfg /usr/local/etc/haproxy/haproxy.cfg
COPY turn /usr/local/bin/turn
USER 99:99
RUN echo "live nobody" > /live/live.map
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s --retries=3 CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8404/well"]
