"""Options of SpeechBrain's Brain that have no key in the recipe.

Written out because importing SpeechBrain takes seconds that neither help nor scoring one file
should pay; a test keeps the list complete (speechbrain.utils.run_opts.RunOptions).
"""

RUN_OPTIONS = {
    "device": "cpu, cuda or cuda:1; by itself cuda where there is one",
    "distributed_backend": "nccl, gloo or mpi, between the processes of torchrun; gloo on CPUs",
    "noprogressbar": "no progress bars",
    "debug": "a few batches and passes, to see whether everything runs",
    "debug_batches": "batches a pass with debug (2)",
    "debug_epochs": "passes with debug (2)",
    "debug_persistently": "keep what a debug run writes",
    "tqdm_colored_bar": "coloured progress bars",
    "test_only": "skip training",
    "log_config": "YAML file that sets up logging",
    "auto_mix_prec": "older word for precision fp16",
    "bfloat16_mix_prec": "older word for precision bf16",
    "skip_nonfinite_grads": "drop gradients that are not finite and go on",
    "remove_vector_weight_decay": "no weight decay on norms and biases",
    "find_unused_parameters": "let DDP look for parameters without a gradient",
    "data_parallel_backend": "torch's DataParallel; use torchrun",
    "jit": "compile modules with TorchScript",
    "jit_module_keys": "which modules jit compiles",
    "compile": "compile modules with torch.compile",
    "compile_module_keys": "which modules compile is for",
    "compile_mode": "default, reduce-overhead or max-autotune",
    "compile_using_fullgraph": "refuse to compile in several graphs",
    "compile_using_dynamic_shape_tracing": "compile for any shape",
    "profile_training": "run torch's profiler, for TensorBoard",
    "profile_warmup": "steps before the profiler writes",
    "profile_steps": "steps it writes",
}
