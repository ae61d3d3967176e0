# The study and the page in a container: `docker compose up`, then http://127.0.0.1:7860. Any image with Python 3.11 or
# newer under Debian or its kin will do as BASE.
ARG BASE=docker.io/library/python:3.12-slim

FROM ${BASE} AS build
# image-quality needs libsvm, which is compiled on installation; the compiler stays behind in this stage.
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential python3-dev \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY veriwild_clustering veriwild_clustering
ARG EXTRAS=notebook,quality,models,app
RUN pip install --no-cache-dir ".[${EXTRAS}]" \
    && find /opt/venv -type d \( -name __pycache__ -o -name tests -path '*/site-packages/*/tests' \) -prune -exec rm -rf {} +

FROM ${BASE}
LABEL org.opencontainers.image.title="veriwild_clustering" org.opencontainers.image.licenses="MIT"
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin veriwild \
    && mkdir -p /state /data/raw_data && chown veriwild /state
COPY --from=build /opt/venv /opt/venv
COPY transport_clustering.ipynb /opt/veriwild/
COPY container/start /usr/local/bin/start
ENV STATE=/state RAW_DATA=/data/raw_data PROJECT=/opt/veriwild \
    PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    XDG_CACHE_HOME=/state/.cache MPLCONFIGDIR=/tmp/matplotlib NUMBA_CACHE_DIR=/tmp/numba IPYTHONDIR=/tmp/ipython \
    JUPYTER_RUNTIME_DIR=/tmp/jupyter GRADIO_ANALYTICS_ENABLED=False
USER veriwild
WORKDIR /state
VOLUME /state
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/api/health', timeout=4)"]
ENTRYPOINT ["start"]
CMD ["app"]
