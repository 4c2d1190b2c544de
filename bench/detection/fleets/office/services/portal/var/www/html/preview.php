<?php
// The name becomes part of a command: the hole.
echo htmlspecialchars((string)shell_exec("head -n 3 uploads/{$_GET['name']} | cut -c 1-60"));
