#!/bin/bash
# A virtual screen, OneTrainer on it, and the way there from a browser. Ends when
# OneTrainer does.
set -euo pipefail
: "${DESKTOP_PASSWORD:?is made at the launch}"
export DISPLAY=:1
rm -f /srv/desktop/ready.json

Xvfb "$DISPLAY" -screen 0 1600x1000x24 -nolisten tcp &
for _ in $(seq 100); do
    [ -e /tmp/.X11-unix/X1 ] && break
    sleep 0.1
done
openbox &
# Only websockify reaches it, which asks for the password that the proxy adds.
x11vnc -display "$DISPLAY" -localhost -rfbport 5900 -forever -shared -nopw -quiet &
websockify --web /srv/desktop --web-auth --auth-plugin BasicHTTPAuth \
    --auth-source "onetrainer:${DESKTOP_PASSWORD}" 0.0.0.0:6080 127.0.0.1:5900 &
unset DESKTOP_PASSWORD

cd /opt/onetrainer
mkdir -p /workspace/{models,datasets,output,tensorboard}
venv/bin/tensorboard --logdir /workspace/tensorboard --port 6006 --bind_all &
./start-ui.sh &
program=$!
# The screen answers long before there is anything on it.
until xdotool search --onlyvisible --name OneTrainer >/dev/null 2>&1; do
    kill -0 "$program" 2>/dev/null || { wait "$program"; exit; }
    sleep 1
done
echo '{"window": true}' > /srv/desktop/ready.json
wait "$program"
