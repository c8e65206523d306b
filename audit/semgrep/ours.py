"""What each rule of ours.yaml must find. Never run."""

import asyncio
import http.client
import os
import socket
import subprocess
import urllib.request

import aiohttp
import httpx
import numpy as np
import psutil
import requests
import torch
import yaml

import pickle

# ruleid: no-pickle
import joblib


def bad(name, pid, model, text):
    # ruleid: no-shell
    subprocess.run(f"ls {name}", shell=True)
    # ruleid: no-shell
    os.system(name)
    # ruleid: no-shell
    asyncio.create_subprocess_shell(name)
    # ok: no-shell
    subprocess.run(["ls", name])
    # ruleid: no-pickle
    pickle.loads(text)
    # ok: no-pickle
    pickle.dumps(text)
    # ruleid: no-pickle
    torch.load(name)
    # ruleid: no-pickle
    torch.load(name, weights_only=True)
    # ruleid: no-pickle
    np.load(name, allow_pickle=True)
    # ok: no-pickle
    np.load(name)
    # ruleid: no-yaml-but-ours
    yaml.load(text, yaml.Loader)
    # ruleid: no-yaml-but-ours
    yaml.unsafe_load(text)
    # ruleid: no-eval
    eval(text)
    # ruleid: no-eval
    exec(text)
    # ok: no-eval
    model.eval()
    # ruleid: no-remote-code
    model.from_pretrained(name, trust_remote_code=True)
    # ok: no-remote-code
    model.from_pretrained(name, trust_remote_code=False)
    # ruleid: no-signal-to-a-stored-pid
    os.kill(pid, 9)
    # ruleid: no-signal-to-a-stored-pid
    psutil.Process(pid).kill()
    # ok: no-signal-to-a-stored-pid
    os.kill(os.getpid(), 15)
    # ruleid: no-other-hosts
    requests.get(text)
    # ruleid: no-other-hosts
    httpx.get(text)
    # ruleid: no-other-hosts
    urllib.request.urlopen(text)
    # ruleid: no-other-hosts
    http.client.HTTPSConnection(name)
    # ruleid: no-other-hosts
    aiohttp.ClientSession()
    # ruleid: no-other-hosts
    socket.create_connection((name, 80))
