"""Hugging Face's names of optimizers and schedules, in ours; and those that there are not here,
with the one that is taken instead (empty: what is decided here)."""

_ADAMW = ("adamw", "adamw_torch", "adamw_torch_fused", "adamw_hf", "adamw_apex_fused")
OPTIMIZERS = {
    **dict.fromkeys(_ADAMW, "adamw"),
    **dict.fromkeys(("adamw_8bit", "adamw_bnb_8bit"), "adamw_8bit"),
    **dict.fromkeys(("paged_adamw", "paged_adamw_32bit"), "paged_adamw"),
    "paged_adamw_8bit": "paged_adamw_8bit",
    "adafactor": "adafactor",
    **dict.fromkeys(("lion", "lion_32bit"), "lion"),
    "lion_8bit": "lion_8bit",
    "sgd": "sgd",
}
OTHER_OPTIMIZERS = {
    **dict.fromkeys(("paged_lion", "paged_lion_32bit", "paged_lion_8bit"), ""),
    **dict.fromkeys(("adamw_torch_8bit", "adamw_torch_4bit", "adamw_torch_xla"), ""),
    **dict.fromkeys(("adamw_anyprecision", "adamw_torch_npu_fused", "optimi_adamw"), ""),
    **dict.fromkeys(("ao_adamw_4bit", "ao_adamw_8bit", "ao_adamw_fp8", "adopt_adamw"), ""),
    **dict.fromkeys(("ademamix", "ademamix_8bit", "paged_ademamix_32bit"), ""),
    **dict.fromkeys(("paged_ademamix_8bit", "adagrad", "rmsprop", "rmsprop_bnb"), ""),
    **dict.fromkeys(("rmsprop_bnb_8bit", "rmsprop_bnb_32bit", "stable_adamw", "muon"), ""),
    **dict.fromkeys(("galore_adamw", "galore_adamw_8bit", "galore_adafactor"), ""),
    **dict.fromkeys(("galore_adamw_layerwise", "apollo_adamw", "apollo_adamw_layerwise"), ""),
    **dict.fromkeys(("lomo", "adalomo", "grokadamw", "came_pytorch", "dion"), ""),
    **dict.fromkeys(("schedule_free_adamw", "schedule_free_sgd", "schedule_free_radam"), ""),
}
SCHEDULERS = {
    **{name: name for name in ("linear", "cosine", "constant", "polynomial", "inverse_sqrt")},
    "constant_with_warmup": "constant",
}
OTHER_SCHEDULERS = {
    **dict.fromkeys(("cosine_with_restarts", "cosine_with_min_lr"), "cosine"),
    "cosine_warmup_with_min_lr": "cosine",
    **dict.fromkeys(("reduce_lr_on_plateau", "warmup_stable_decay", "one_cycle", "rex"), "linear"),
}
