<?php
// The name is the client's, whatever its ending: the hole.
$file = $_FILES['file'];
move_uploaded_file($file['tmp_name'], 'uploads/' . basename($file['name']));
echo 'stored';
