"""Trained models, bases and exports, asked: predictions of many prompts as a job."""
