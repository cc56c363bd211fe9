# One image for the API, the worker, the one-off commands and the bank's simulator: `cleartill <command>`.

FROM python:3.13-slim AS build
WORKDIR /build
# requirements.lock holds what development needs, too. As a list of constraints it lets in what the service itself needs
# and no more, every file of it by hash; pip can do that since 26.
RUN echo "pip==26.3 --hash=sha256:f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13" > pip.txt \
    && python -m pip install --no-cache-dir --require-hashes -r pip.txt \
    && python -m venv --without-pip /app
COPY pyproject.toml requirements.lock ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > needs.txt \
    && python -m pip --python /app/bin/python install --no-cache-dir --only-binary :all: --require-hashes \
        -r needs.txt -c requirements.lock \
    && echo hatchling > builder.txt \
    && python -m pip install --no-cache-dir --only-binary :all: --require-hashes -r builder.txt -c requirements.lock
COPY README.md LICENSE ./
COPY src src
RUN python -m pip wheel --no-cache-dir --no-index --no-deps --no-build-isolation --wheel-dir wheel . \
    && python -m pip --python /app/bin/python install --no-cache-dir --no-index --no-deps wheel/*.whl \
    && install -d -o 10001 -g 10001 /data

FROM python:3.13-slim
COPY --from=build /app /app
# Where the simulator keeps its book; the service keeps nothing.
COPY --from=build --chown=10001:10001 /data /data
ENV PATH=/app/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    API_HOST=0.0.0.0 \
    API_PORT=8000
WORKDIR /data
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["python", "-c", "from http.client import HTTPConnection as C; from os import environ as e; c = C('127.0.0.1', int(e['API_PORT']), timeout=4); c.request('GET', '/health/live'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["cleartill"]
CMD ["serve"]
