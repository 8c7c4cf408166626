# a Python application with outgrow in it; the image `outgrow` is made first, from deploy/Dockerfile:  docker build .
FROM outgrow AS outgrow

FROM python:3.12-slim-bookworm
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY --from=outgrow /usr/local/bin/outgrow /usr/local/bin/outgrow
COPY . .
RUN useradd --system --no-create-home --uid 10001 app
USER app
CMD ["sh", "-c", "exec uvicorn main:app --host 0.0.0.0 --port ${PORT:-8000}"]
