# One image for all of docker-compose.yml but its database; that file says which service runs what.
FROM python:3.11.13-slim-bookworm

# LightGBM needs the OpenMP library, which the slim image leaves out
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data streetimd \
    && install -d -o streetimd -g streetimd /data /opt/dagster

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    DAGSTER_HOME=/opt/dagster \
    STREETIMD_DATA=/data \
    # weights and other downloads outlive the container
    XDG_CACHE_HOME=/data/cache

# PyTorch first and alone: its build for CPUs, unless TORCH_INDEX names the index of one for a GPU
WORKDIR /opt/streetimd
COPY constraints.txt ./
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install torch torchvision -c constraints.txt --index-url "${TORCH_INDEX}"

# what StreetIMD depends on, in a layer that a change of its code leaves as it is
COPY pyproject.toml ./
COPY streetimd_assets/__init__.py streetimd_assets/
RUN touch README.md \
    && pip install ".[deploy]" -c constraints.txt \
    && pip uninstall --yes streetimd

COPY LICENSE README.md ./
COPY streetimd_assets streetimd_assets
RUN pip install --no-deps .

USER streetimd
WORKDIR /data
CMD ["streetimd", "--help"]
