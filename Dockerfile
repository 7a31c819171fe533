# vkprovider as an image; its containers are made by the engine whose socket it is given, from the same paths:
#   docker build -t vkprovider .
#   docker run -i --rm -v /var/run/docker.sock:/var/run/docker.sock -v /var/lib/vkprovider:/var/lib/vkprovider \
#       vkprovider run - <job.yaml
# To run a node in it: docs/how-to/run-as-a-service.md.
# The base must have Python 3.11 or newer as python3, with pip and venv.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY vkprovider vkprovider
RUN python3 -m pip wheel --quiet --no-cache-dir --wheel-dir /wheels '.[cluster]' \
 && python3 -m venv --without-pip /opt/vkprovider \
 && python3 -m pip --quiet --python /opt/vkprovider/bin/python install --no-cache-dir --no-index /wheels/*.whl

FROM ${BASE}
COPY --from=build /opt/vkprovider /opt/vkprovider
ENTRYPOINT ["/opt/vkprovider/bin/vkprovider"]
