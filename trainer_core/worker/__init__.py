"""The processes that run a job: the supervisor, the job it spawns, and the clients that watch.

client.py  ── attaches to ──►  server.py in supervisor.py  ── spawns, pipes to ──►  job.py
"""
