# Runs as nobody, on a read-only file system; only /data can be written.
#   docker build -t binnenbuurt .
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#     -v binnenbuurt:/data --env-file .env -p 127.0.0.1:8080:8080 binnenbuurt
FROM python:3.12-slim AS build
RUN pip install --no-cache-dir uv
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY bot bot
COPY flows flows
COPY storage storage
COPY locales locales
RUN uv venv /app && uv pip install --no-cache --python /app ".[postgres]"

FROM python:3.12-slim
COPY --from=build /app /app
RUN mkdir /data && chown 65534:65534 /data
ENV PATH=/app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DATABASE_URL=sqlite:////data/binnenbuurt.db \
    DATA_KEY_FILE=/data/key \
    HOST=0.0.0.0
# backups go to data/backups below the working folder, which is the volume's parent
WORKDIR /
USER 65534:65534
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=1m --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["binnenbuurt"]
CMD ["run"]
