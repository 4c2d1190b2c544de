"""What Ethogram costs, against no agent and against what else could be used. `script/bench` runs it."""
